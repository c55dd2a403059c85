"""Which questions are asked of a broker, in which order, and what facts their answers make."""
