//! Token ids to measure on, and the model's outputs at each.

use mains_contract::{BlockId, Graph, LoadedModel, OutputName, SequenceSpan, SlotId, Step, StepLimits};

use crate::MeasureError;

/// Rows of one step; as many as make a matrix's use worth while.
const STEP_ROWS: usize = 64;
/// Positions in a block. There is one sequence, so nothing depends on it.
const BLOCK_TOKENS: usize = 16;

/// Texts as token ids, and the positions whose predictions count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Texts {
    rows: Vec<Vec<u32>>,
    masks: Vec<Vec<bool>>,
}

impl Texts {
    /// Each text with a mark for every token: whether the prediction after it counts.
    ///
    /// # Errors
    /// [`MeasureError::Texts`] when there is no text, one is empty or longer than `context`, has other than one mark a
    /// token or an id beyond `vocabulary`, or nothing counts.
    pub fn new(
        rows: Vec<Vec<u32>>,
        masks: Vec<Vec<bool>>,
        vocabulary: u32,
        context: u32,
    ) -> Result<Self, MeasureError> {
        let refuse = |reason: String| Err(MeasureError::Texts(reason));
        if rows.len() != masks.len() || rows.is_empty() {
            return refuse(format!(
                "{} texts with {} masks: nothing to measure on",
                rows.len(),
                masks.len()
            ));
        }
        for (index, (row, mask)) in rows.iter().zip(&masks).enumerate() {
            if row.is_empty() || row.len() != mask.len() || row.len() > context as usize {
                let (tokens, marks) = (row.len(), mask.len());
                return refuse(format!(
                    "text {index}: {tokens} tokens with {marks} marks; the context is {context}"
                ));
            }
            if let Some(id) = row.iter().find(|id| **id >= vocabulary) {
                return refuse(format!(
                    "text {index}: id {id} is beyond the vocabulary of {vocabulary}"
                ));
            }
        }
        let texts = Self { rows, masks };
        if texts.positions() == 0 {
            return refuse("no position of the texts counts".to_owned());
        }
        Ok(texts)
    }

    /// The texts.
    #[must_use]
    pub fn rows(&self) -> &[Vec<u32>] {
        &self.rows
    }

    /// Positions that count.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.masks.iter().flatten().filter(|counts| **counts).count()
    }

    /// Whether the prediction after each token counts, text by text.
    #[must_use]
    pub fn masks(&self) -> &[Vec<bool>] {
        &self.masks
    }

    /// The first `rows` texts.
    ///
    /// # Errors
    /// [`MeasureError::Texts`] when nothing in them counts.
    pub fn first(&self, rows: usize) -> Result<Self, MeasureError> {
        let texts = Self {
            rows: self.rows.iter().take(rows).cloned().collect(),
            masks: self.masks.iter().take(rows).cloned().collect(),
        };
        match texts.positions() {
            0 => Err(MeasureError::Texts("no position of the texts counts".to_owned())),
            _ => Ok(texts),
        }
    }

    /// The first `rows` texts to choose by, and `held_back` others to tell what was chosen by: a choice among many has picked
    /// what its own texts show too small. At least half of the texts are chosen by; of a single one both parts are.
    ///
    /// # Errors
    /// [`MeasureError::Texts`] when nothing in either part counts.
    pub fn split(&self, rows: usize, held_back: usize) -> Result<(Self, Self), MeasureError> {
        let held_back = held_back.min(self.rows.len() / 2);
        let chosen = rows.clamp(1, self.rows.len() - held_back);
        let last = Self {
            rows: self.rows[self.rows.len() - held_back..].to_vec(),
            masks: self.masks[self.masks.len() - held_back..].to_vec(),
        };
        let last = if held_back == 0 {
            self.clone()
        } else {
            last.first(held_back)?
        };
        Ok((self.first(chosen)?, last))
    }

    /// The texts in which something counts, in parts of at most `positions` that count, or of one text.
    #[must_use]
    pub fn batches(&self, positions: usize) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        let mut room = 0;
        for (row, mask) in self.rows.iter().zip(&self.masks) {
            let count = mask.iter().filter(|counts| **counts).count();
            if count == 0 {
                continue;
            }
            if batches.is_empty() || count > room {
                batches.push(Self::default());
                room = positions;
            }
            room = room.saturating_sub(count);
            if let Some(batch) = batches.last_mut() {
                batch.rows.push(row.clone());
                batch.masks.push(mask.clone());
            }
        }
        batches
    }

    /// Limits to load a model under for these texts, one at a time.
    #[must_use]
    pub fn limits(&self) -> StepLimits {
        let longest = self.rows.iter().map(Vec::len).max().unwrap_or(1);
        let rows = longest.clamp(1, STEP_ROWS);
        StepLimits {
            rows,
            output_rows: rows,
            context: longest.max(1),
            blocks: longest.max(1).div_ceil(BLOCK_TOKENS),
            block_tokens: BLOCK_TOKENS,
            slots: 1,
        }
    }
}

/// What a step gave: an output's name and its numbers, row after row.
pub type Outputs<'a> = [(OutputName, &'a [f32])];

/// Runs one text in chunks and hands each chunk's outputs on, with the position that it begins at.
///
/// # Errors
/// [`MeasureError::Driver`] when the device fails.
pub fn each_row(
    loaded: &mut dyn LoadedModel,
    graph: &Graph,
    limits: &StepLimits,
    ids: &[u32],
    mut each: impl FnMut(usize, &Outputs<'_>),
) -> Result<(), MeasureError> {
    let blocks: Vec<BlockId> = (0..).take(limits.blocks).map(BlockId).collect();
    let mut position = 0;
    let mut out = Vec::new();
    for tokens in ids.chunks(limits.rows) {
        let count =
            u32::try_from(tokens.len()).expect("rows of a step are bounded by its limits, far below 2^32");
        let rows: Vec<u32> = (0..count).collect();
        let positions: Vec<u32> = rows.iter().map(|row| position + row).collect();
        let span = SequenceSpan {
            first_row: 0,
            rows: count,
            blocks: &blocks,
            slot: SlotId(0),
        };
        let step = Step {
            tokens,
            positions: &positions,
            sequences: &[span],
            output_rows: &rows,
            inputs: &[],
        };
        let ranges: Vec<_> = graph.output_ranges(&step).collect();
        out.resize(ranges.last().map_or(0, |(_, range)| range.end), 0.0);
        loaded.run(&step, &mut out)?;
        let outputs: Vec<_> = ranges
            .into_iter()
            .map(|(name, range)| (name, &out[range]))
            .collect();
        each(position as usize, &outputs);
        position += count;
    }
    Ok(())
}
