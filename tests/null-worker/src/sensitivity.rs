//! A measurement of sensitivity: groups that are called by their numbers, each with the same damage.

use anyhow::Result;
use mains_contract::BlockFormat;
use mains_types::{GroupSensitivity, Sensitivity};
use mains_wire::files::write_sensitivity;
use mains_wire::frames::{FromWorker, SensitivityOrder};
use tokio::sync::mpsc;

use crate::behaviour::{Behaviour, Load, die, hang};
use crate::said;

/// Nats a token of every group.
const DAMAGE: f64 = 0.5;

/// Says the importance unless it is known, the groups that are not known, one a delay, and the table; or does what the options say
/// in place of the group after so many.
pub(crate) async fn measure(
    behaviour: &Behaviour,
    order: &SensitivityOrder,
    frames: &mpsc::Sender<FromWorker>,
) -> Result<()> {
    if order.importance.is_none() {
        say_file(b"importance".to_vec(), frames).await?;
    }
    let is_known = |name: &String| order.known.iter().any(|(known, _)| known == name);
    let of = behaviour.groups.min(order.groups);
    let missing: Vec<String> = (0..of)
        .map(|number| number.to_string())
        .filter(|name| !is_known(name))
        .collect();
    let mut done = of - u32::try_from(missing.len())?;
    frames.send(FromWorker::Measuring { done, of }).await?;
    for (after, name) in (0..).zip(missing) {
        if after >= behaviour.measure_after && misbehave(behaviour.measure, frames).await? {
            return Ok(());
        }
        tokio::time::sleep(behaviour.delay).await;
        let damage = DAMAGE;
        frames.send(FromWorker::Group { name, damage }).await?;
        done += 1;
        frames.send(FromWorker::Measuring { done, of }).await?;
    }
    let table = Sensitivity {
        model: order.model,
        groups: vec![GroupSensitivity {
            name: "token_embd.weight".to_owned(),
            tensors: vec!["token_embd.weight".to_owned()],
            damages: vec![(BlockFormat::F32, 0.0)],
        }],
        kv: Vec::new(),
        whole: Vec::new(),
    };
    say_file(write_sensitivity(&table), frames).await
}

async fn misbehave(how: Load, frames: &mpsc::Sender<FromWorker>) -> Result<bool> {
    said(frames).await;
    match how {
        Load::Ok => Ok(false),
        Load::Error => {
            let refused = "the null worker was told to refuse this measurement".to_owned();
            frames.send(FromWorker::Error(refused)).await?;
            Ok(true)
        }
        Load::Die => die(),
        Load::Hang => hang(),
    }
}

async fn say_file(bytes: Vec<u8>, frames: &mpsc::Sender<FromWorker>) -> Result<()> {
    let all = bytes.len() as u64;
    frames.send(FromWorker::Writing { bytes: all }).await?;
    frames.send(FromWorker::Piece(bytes)).await?;
    frames.send(FromWorker::Written).await?;
    Ok(())
}
