"""The connector `ihub connector new` writes, here under the name acme: a working one, checked with everything else.

In: nothing; `hub.cli.authoring` copies this folder and puts the author's name in the place of acme. Out: a package that
reads one made-up stream, keeps every clause that concerns it, and has its own stand-in to read from.
"""
