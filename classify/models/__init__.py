"""Networks whose forward pass gives the class and the map, their weights and checkpoints."""
