"""
The bounded index of the files below a folder.

    index        ReplaceOnIndex: the face
    scanner      one scan at a time, and the snapshot that it leaves
    background   the thread that scans again and again
    walk         one walk over a tree, within bounds
    repository   where git looks for ignore files
    gitignore    what they say
    wildmatch    git's wildcards as regular expressions
    tree         what a walk finds
    columns      the same in a few flat columns
    snapshot     the columns as a sequence of paths
    search       from what somebody typed to ranked matches
    candidates   the files worth scoring
    query        the regular expressions that find them
    scoring      how well a path answers a query
    globbing     files by wildcards
"""
