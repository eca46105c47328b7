"""Every sentence, table and difference that people see, and the same values as JSON."""
