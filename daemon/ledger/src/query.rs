//! What can be asked of the ledger.

use jiff::Timestamp;

/// Which sums to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageBy {
    /// A row a team.
    Team,
    /// A row a model.
    Model,
    /// A row a UTC day.
    Day,
}

/// Sums of usage, in order of their key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// What a row stands for.
    pub by: UsageBy,
    /// Only requests that came at or after this. A day whose rows were pruned counts whole.
    pub since: Option<Timestamp>,
    /// Only this team's.
    pub team: Option<String>,
}

/// Single requests, the newest last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestQuery {
    /// Only requests that came at or after this.
    pub since: Option<Timestamp>,
    /// The newest so many at the most.
    pub limit: u32,
    /// Only this team's.
    pub team: Option<String>,
}
