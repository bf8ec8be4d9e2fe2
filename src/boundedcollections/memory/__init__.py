"""
The memory of the whole process: one budget for all collections, and what keeps watch over it.

    budget         MemoryBudget: what collections join, and what is reserved from
    account        what it keeps of one member
    shares         the targets of all members, by what each needs
    sharing        how an amount is shared out, by weight
    rounds         whose turn it is to evict
    reservation    bytes that nobody can evict
    monitor        MemoryMonitor: keeps watch, in a thread or in a task
    watch          its thread
    lookout        what it sees, and what it makes of that
    probe          what measures the process
    cgroups        the same of its control group
    policy         what to do, decided by a pure function
    ladder         the levels, and the figures where they begin
    learning       what one sample says beside those before
    plans          what that function is told, and what it answers
    reclaim        garbage collection and trimming, now and then
    pauses         how long the former stops the program
    report         what the log is told
    statistics     the figures of a budget and of a monitor
"""
