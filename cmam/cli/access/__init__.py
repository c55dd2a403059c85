"""Commands about the way to accounts: the API, consents, the accounts themselves."""
