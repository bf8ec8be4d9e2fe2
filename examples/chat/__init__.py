"""A chat server in which nothing can grow without a bound: the reference for boundedcollections."""
