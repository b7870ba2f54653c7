//! Family declarations, shared blocks, paged state, scheduler, sampling.
