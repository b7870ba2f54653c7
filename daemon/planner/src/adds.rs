//! What types of tensors add to a footprint, by device and part.

use mains_contract::{BlockFormat, Bytes, FootprintModel};
use mains_types::ModelFacts;

use crate::rooms::{Room, Rooms};

/// What a choice of types adds on every device that a part may go to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Adds {
    /// By room and part: the tensors that this part alone uses.
    rooms: Vec<Vec<FootprintModel>>,
    shared: Vec<Shared>,
}

/// A tensor that two parts use.
#[derive(Debug, Clone, PartialEq)]
struct Shared {
    parts: [usize; 2],
    /// By room: in both parts, in the earlier and in the later one alone.
    rooms: Vec<[FootprintModel; 3]>,
}

impl Adds {
    /// Adds of the types that `formats` gives by tensor. Where it gives several, the most that any of them adds. `None` when
    /// a driver does not take one.
    pub(crate) fn of<'f>(
        facts: &ModelFacts,
        rooms: &Rooms<'_>,
        formats: impl Fn(usize) -> &'f [BlockFormat],
    ) -> Option<Self> {
        let parts = rooms.parts(facts);
        let mut adds = Self {
            rooms: vec![vec![FootprintModel::default(); parts]; rooms.list.len()],
            shared: Vec::new(),
        };
        for tensor in 0..facts.tensors.len() {
            let used = parts_of(facts, parts, tensor);
            let mut shared = Vec::new();
            for (index, room) in rooms.list.iter().enumerate() {
                let most = |parts: [usize; 2], run: [usize; 2]| -> Option<FootprintModel> {
                    let mut most = FootprintModel::default();
                    for format in formats(tensor) {
                        let adds = of_tensor(room, tensor, *format, parts, run)?;
                        most = FootprintModel {
                            weights: most.weights.max(adds.weights),
                            ..most.beside(adds)
                        };
                    }
                    Some(most)
                };
                if used[0] == used[1] {
                    let part = &mut adds.rooms[index][used[0]];
                    *part = part.beside(&most(used, used)?);
                } else {
                    let [first, last] = used;
                    shared.push([most(used, used)?, most(used, [first; 2])?, most(used, [last; 2])?]);
                }
            }
            if !shared.is_empty() {
                adds.shared.push(Shared {
                    parts: used,
                    rooms: shared,
                });
            }
        }
        Some(adds)
    }

    /// The run from part `first` to `last` in room `room`.
    pub(crate) fn run(&self, room: usize, first: usize, last: usize) -> FootprintModel {
        let parts = self.rooms[room][first..=last].iter();
        let mut sum = parts.fold(FootprintModel::default(), |sum, part| sum.beside(part));
        let within = |part: usize| (first..=last).contains(&part);
        for shared in &self.shared {
            let [both, earlier, later] = &shared.rooms[room];
            let adds = match shared.parts.map(within) {
                [true, true] => both,
                [true, false] => earlier,
                [false, true] => later,
                [false, false] => continue,
            };
            sum = sum.beside(adds);
        }
        sum
    }

    /// Both, one after the other: weights add up, of everything else the larger counts.
    pub(crate) fn beside(&self, other: &Self) -> Self {
        self.zip(other, |one, other| one.beside(other))
    }

    /// The working memory alone.
    pub(crate) fn without_weights(&self) -> Self {
        self.zip(self, |one, _| FootprintModel {
            weights: Bytes::ZERO,
            ..*one
        })
    }

    /// `of` each of its values and that of `other`, which is of the same model in the same rooms.
    fn zip(&self, other: &Self, of: impl Fn(&FootprintModel, &FootprintModel) -> FootprintModel) -> Self {
        let rooms = self.rooms.iter().zip(&other.rooms);
        let rooms =
            rooms.map(|(one, other)| one.iter().zip(other).map(|(one, other)| of(one, other)).collect());
        let shared = self.shared.iter().zip(&other.shared).map(|(one, other)| Shared {
            parts: one.parts,
            rooms: one
                .rooms
                .iter()
                .zip(&other.rooms)
                .map(|(one, other)| std::array::from_fn(|at| of(&one[at], &other[at])))
                .collect(),
        });
        Self {
            rooms: rooms.collect(),
            shared: shared.collect(),
        }
    }
}

/// The parts that use `tensor`, first and last, where the model has so many.
pub(crate) fn parts_of(facts: &ModelFacts, parts: usize, tensor: usize) -> [usize; 2] {
    let known = facts.parts.get(tensor).filter(|_| parts > 1);
    known.map_or([0, 0], |(first, last)| [*first as usize, *last as usize])
}

/// What `tensor`, which `parts` use, adds to a run of parts in `format`; `None` when the driver does not take it.
pub(crate) fn of_tensor<'a>(
    room: &Room<'a>,
    tensor: usize,
    format: BlockFormat,
    parts: [usize; 2],
    run: [usize; 2],
) -> Option<&'a FootprintModel> {
    let has = |part: usize| (run[0]..=run[1]).contains(&part);
    let [first, last] = parts.map(has);
    if first && last {
        return room.costs.formats.of_format(tensor, format);
    }
    let mut shared = room.costs.shared.iter();
    let shared = shared.find(|shared| shared.tensor as usize == tensor)?;
    let side = if first { &shared.earlier } else { &shared.later };
    side.iter()
        .find(|(known, _)| *known == format)
        .map(|(_, adds)| adds)
}
