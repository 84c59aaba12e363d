"""The source's table: generators trained on the same photographs draw the same held-out masks, and are compared.

`runs` reads what was trained, `making` has the images made by the commands that a user has, `columns` lays out what
`bench-fid` then measures, `published` holds the source's own figures, and `protocol` ties them together.
"""
