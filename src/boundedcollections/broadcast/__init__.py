"""
One stream for many readers: each item is kept once, and a reader is a place in the stream.

A queue for each reader holds an item many times over, and each send costs as much as there are
readers. A `Broadcast` keeps one ring of the newest items, and a `Subscription` is little more than
a number. A reader that stalls costs nothing: the ring moves on, and the reader learns how much it
missed.

    hub            Broadcast: what is sent to, and gives out places
    ring           the items, their numbers, and how they are read from any place
    subscription   a place whose owner asks for what is there
    sink           a place whose owner is written to, without a task
"""

from boundedcollections.broadcast.hub import Broadcast, BroadcastStatistics
from boundedcollections.broadcast.sink import Sink, SinkStatistics
from boundedcollections.broadcast.subscription import OnLag, Subscription, SubscriptionStatistics

__all__ = [
    "Broadcast",
    "BroadcastStatistics",
    "OnLag",
    "Sink",
    "SinkStatistics",
    "Subscription",
    "SubscriptionStatistics",
]
