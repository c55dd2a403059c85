"""By which rules an account's record is derived: what was derived once is derived the same for ever.

Where a later cmam derives something else from the same facts, `RULES` is counted up, a name for the change is written
in the file of its subject, and the place that changed asks the view whether that name holds. Each account notes in its
record from where on it does (`RulesBegan`); all before it, and a record that has no such note, is derived as it was.

In each file names stand under their numbers. The text of each says what holds from that number on; what it tells in the
past tense is how older records are derived, for as long as there are any.
"""
