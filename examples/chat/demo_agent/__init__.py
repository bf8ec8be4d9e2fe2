"""
The bundled agent: it works offline, and it really does what it says.

It understands a handful of sentences, looks into one folder, and speaks the same lines of JSON as
a large agent does, so that the server needs no network and no key to be tried and tested.
"""
