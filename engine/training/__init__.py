"""What every training needs: optimizers, resumed state, processes."""
