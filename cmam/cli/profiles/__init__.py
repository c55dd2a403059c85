"""Commands about who follows whom, and how."""
