"""How well records of one person or company are found, on sets where the truth is known."""
