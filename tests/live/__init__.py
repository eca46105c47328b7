"""What nobody could verify about GitHub without GitHub: facts, and a place in a scratch repository to try them."""
