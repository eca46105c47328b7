"""What answers REST: one function per operation; importing a module puts its functions into the table."""
