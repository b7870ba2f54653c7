//! `mains eval`: the worker compares; the daemon tells what its plans of the base model would be, for the plot.

use std::path::Path;

use mains_wire::http::PlanBody;

use super::siblings::{become_program, file_of, sibling, with_paths};
use crate::args::EvalArgs;
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::sockets::Sockets;

/// Plans in a plot at the most.
const PLANS: u32 = 16;

/// What each plan's tensors may take of those of the next larger one: sixteen plans go from 16 bits a weight down to 2.
const STEP: f64 = 0.87;

/// Both models are paths, or names that the running daemon knows.
pub(crate) async fn run(sockets: &Sockets, args: &EvalArgs) -> anyhow::Result<Exit> {
    let (model, base) = (
        file_of(sockets, &args.model).await?,
        file_of(sockets, &args.against).await?,
    );
    let mut command = sibling("mains-worker")?;
    command.arg("eval").arg(model).args(["--driver", &args.driver]);
    command.args(args.weights_alone.then_some("--weights-alone"));
    let options = [
        ("--against", Some(base.as_path())),
        ("--text", args.text.as_deref()),
        ("--exam", args.exam.as_deref()),
        ("--ids", args.ids.as_deref()),
        ("--table", args.table.as_deref()),
        ("--plot", args.plot.as_deref()),
    ];
    // A path is not a name: the daemon knows nothing of it.
    if args.plot.is_some() && args.table.is_none() && !Path::new(&args.against).exists() {
        for (bytes, nats) in plans(sockets.widest().await, &args.against).await? {
            command.args(["--point", &format!("{bytes}={nats:e}")]);
        }
    }
    become_program(with_paths(command, &options))
}

/// Bytes of tensors and predicted nats a token over the whole range of plans. None when the model was not measured: its types
/// stay as they are.
async fn plans(client: &Client, model: &str) -> Result<Vec<(u64, f64)>, ClientError> {
    let mut points: Vec<(u64, f64)> = Vec::new();
    let mut budget = None;
    for _ in 0..PLANS {
        let query = [
            ("policy", Some("quality".to_owned())),
            ("weights", budget.map(|bytes: u64| bytes.to_string())),
        ];
        let path = super::with_query(&super::model_path(model, "/plan"), query);
        let plan: PlanBody = match client.get(&path).await {
            Ok(plan) => plan,
            // Fewer bytes than its smallest types take.
            Err(ClientError::Refused { status: 422, .. }) => break,
            Err(error) => return Err(error),
        };
        let Some(nats) = plan.predicted.kl else { break };
        let bytes = plan.tensors.iter().map(|tensor| tensor.bytes).sum();
        points.push((bytes, nats));
        budget = Some(next(bytes));
    }
    Ok(points)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a step between plans need not be exact to the byte"
)]
fn next(bytes: u64) -> u64 {
    (bytes as f64 * STEP) as u64
}
