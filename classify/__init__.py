"""Classifiers whose forward pass also says where, and the bench that tells whether synthetic data helped."""
