//! Queues, life cycles, reservations and the spawning of workers.
