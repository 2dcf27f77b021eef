"""What stapes costs, and what it does to sound."""
