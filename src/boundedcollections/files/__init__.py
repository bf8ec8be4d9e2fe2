"""
The bounded index of the files below a folder.

    index        ReplaceOnIndex: the face
    scanner      one scan at a time, and the snapshot that it leaves
    background   the thread that refreshes again and again
    watch        hints that it is time to
    walk         one walk over a tree, within bounds
    refresh      a second look, at what has changed only
    stamps       how a change is noticed
    overlay      changes merged into columns
    changes      what two snapshots have not in common
    repository   where git looks for ignore files
    gitignore    what they say
    wildmatch    git's wildcards as regular expressions
    tree         what a walk finds
    columns      the same in a few flat columns
    snapshot     the columns as a sequence of paths
    finder       two answers to each keystroke
    searcher     the tables of the newest snapshot, and the thread that completes answers
    search       from what somebody typed to ranked matches
    query        what was typed, as it is compared
    candidates   the files worth scoring
    tables       names and folders by how they begin
    engines      what finds texts that hold some letters
    standard     the engine of the standard library
    frizbee      the engine of the extra
    scoring      how well a path answers a query
    globbing     files by wildcards
"""
