"""What keeps model text, and programs that models write, from doing harm."""
