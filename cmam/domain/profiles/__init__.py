"""Who follows whom, and how: links, every setting with its reader, hours, formulas, tables of symbols."""
