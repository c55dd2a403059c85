"""What an account trades in and what it is worth: sessions, symbols and which is which, currencies, equity, margin."""
