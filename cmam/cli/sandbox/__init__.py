"""Commands about a broker of your own."""
