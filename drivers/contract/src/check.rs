//! What makes a step whole, checked in one place for every driver.

use std::collections::HashSet;

use crate::{DriverError, Graph, Op, SequenceSpan, Step, StepLimits};

impl Step<'_> {
    /// Checks that the step keeps to `limits` and does not contradict itself. A driver that has checked may index with
    /// any row, position and block of it; token ids remain, which are checked against the table that they index.
    ///
    /// # Errors
    /// [`DriverError::Limits`] names the first thing that does not fit.
    pub fn check(&self, limits: &StepLimits) -> Result<(), DriverError> {
        let rows = self.tokens.len();
        if rows > limits.rows {
            return refuse(format!("{rows} rows, at most {} were planned", limits.rows));
        }
        if self.positions.len() != rows {
            return refuse(format!("{} positions for {rows} rows", self.positions.len()));
        }
        let mut next_row = 0;
        for (index, span) in self.sequences.iter().enumerate() {
            if span.first_row as usize != next_row || span.rows == 0 {
                return refuse(format!(
                    "sequence {index} has {} rows from row {}, it must have some from row {next_row}",
                    span.rows, span.first_row
                ));
            }
            next_row += span.rows as usize;
            if next_row > rows {
                return refuse(format!("sequence {index} ends at row {next_row} of {rows}"));
            }
            self.check_span(index, span, limits)?;
        }
        if next_row != rows {
            return refuse(format!(
                "{} of {rows} rows belong to no sequence",
                rows - next_row
            ));
        }
        self.check_slots(limits)?;
        self.check_outputs(limits)
    }

    /// Checks what the graph asks of a step that [`Step::check`] has found whole: token ids and positions within tables,
    /// whole sequences where tokens see later ones, rows from an earlier segment.
    ///
    /// # Errors
    /// [`DriverError::Limits`] names the first thing that does not fit.
    pub fn check_for(&self, graph: &Graph) -> Result<(), DriverError> {
        for node in graph.nodes() {
            match &node.op {
                Op::Embed { table } => check_rows("token", self.tokens, 0, graph.weight(*table).rows)?,
                Op::EmbedPosition { table, offset } => {
                    check_rows("position", self.positions, *offset, graph.weight(*table).rows)?;
                }
                _ => {}
            }
        }
        let inputs = self.tokens.len() * graph.input_width();
        if self.inputs.len() != inputs {
            return refuse(format!(
                "{} numbers of input rows, the graph takes {inputs}",
                self.inputs.len()
            ));
        }
        let mut first_positions = self
            .sequences
            .iter()
            .map(|span| self.positions[span.first_row as usize]);
        match first_positions.find(|position| *position != 0) {
            Some(position) if !graph.is_causal() => refuse(format!(
                "a sequence from position {position}: the model sees later tokens, sequences must be whole"
            )),
            _ => Ok(()),
        }
    }

    fn check_slots(&self, limits: &StepLimits) -> Result<(), DriverError> {
        let mut taken = HashSet::new();
        for (index, span) in self.sequences.iter().enumerate() {
            let slot = span.slot.0;
            if slot as usize >= limits.slots.max(1) {
                return refuse(format!(
                    "sequence {index}: slot {slot}, there are {}",
                    limits.slots
                ));
            }
            if limits.slots > 0 && !taken.insert(slot) {
                return refuse(format!("sequence {index}: slot {slot} is another sequence's"));
            }
        }
        Ok(())
    }

    fn check_span(
        &self,
        index: usize,
        span: &SequenceSpan<'_>,
        limits: &StepLimits,
    ) -> Result<(), DriverError> {
        let positions = &self.positions[span.first_row as usize..][..span.rows as usize];
        if let Some(pair) = positions
            .windows(2)
            .find(|pair| pair[0].checked_add(1) != Some(pair[1]))
        {
            return refuse(format!(
                "sequence {index}: position {} follows {}, positions of a step have no gaps",
                pair[1], pair[0]
            ));
        }
        let last = positions[positions.len() - 1] as usize;
        if last >= limits.context {
            return refuse(format!(
                "sequence {index}: position {last}, a sequence has at most {}",
                limits.context
            ));
        }
        let needed = last / limits.block_tokens + 1;
        if span.blocks.len() < needed {
            return refuse(format!(
                "sequence {index}: {} blocks, position {last} needs {needed}",
                span.blocks.len()
            ));
        }
        match span.blocks.iter().find(|block| block.0 as usize >= limits.blocks) {
            Some(block) => refuse(format!(
                "sequence {index}: block {}, there are {}",
                block.0, limits.blocks
            )),
            None => Ok(()),
        }
    }

    fn check_outputs(&self, limits: &StepLimits) -> Result<(), DriverError> {
        let outputs = self.output_rows;
        if outputs.len() > limits.output_rows {
            return refuse(format!(
                "{} output rows, at most {} were planned",
                outputs.len(),
                limits.output_rows
            ));
        }
        if outputs.windows(2).any(|pair| pair[0] >= pair[1]) {
            return refuse("output rows do not grow".to_owned());
        }
        match outputs.last() {
            Some(row) if *row as usize >= self.tokens.len() => refuse(format!(
                "output row {row}, the step has {} rows",
                self.tokens.len()
            )),
            _ => Ok(()),
        }
    }
}

fn check_rows(what: &str, numbers: &[u32], offset: usize, rows: usize) -> Result<(), DriverError> {
    let beyond = |number: &&u32| (**number as usize).saturating_add(offset) >= rows;
    match numbers.iter().find(beyond) {
        Some(number) => refuse(format!("{what} {number}, the table has {rows}")),
        None => Ok(()),
    }
}

fn refuse(reason: String) -> Result<(), DriverError> {
    Err(DriverError::Limits(reason))
}

#[cfg(test)]
mod tests {
    use super::{DriverError, SequenceSpan, Step, StepLimits};
    use crate::{BlockId, SlotId};

    type Span = (u32, u32, &'static [BlockId]);
    type Case<'a> = (&'a [u32], &'a [Span], &'a [u32], &'a str);

    const ONE: &[BlockId] = &[BlockId(0)];
    const TWO: &[BlockId] = &[BlockId(2), BlockId(0)];
    const FAR: &[BlockId] = &[BlockId(3)];
    const LIMITS: StepLimits = StepLimits {
        rows: 4,
        output_rows: 2,
        context: 8,
        blocks: 3,
        block_tokens: 2,
        slots: 0,
    };

    fn reason(positions: &[u32], spans: &[Span], output_rows: &[u32]) -> String {
        let tokens = vec![0; positions.len()];
        let sequences: Vec<SequenceSpan<'_>> = spans
            .iter()
            .map(|(first_row, rows, blocks)| SequenceSpan {
                first_row: *first_row,
                rows: *rows,
                blocks,
                slot: SlotId(0),
            })
            .collect();
        let step = Step {
            tokens: &tokens,
            positions,
            sequences: &sequences,
            output_rows,
            inputs: &[],
        };
        match step.check(&LIMITS) {
            Ok(()) => String::new(),
            Err(DriverError::Limits(reason)) => reason,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_whole_step_passes() {
        assert_eq!(reason(&[2, 3, 0], &[(0, 2, TWO), (2, 1, TWO)], &[1, 2]), "");
        assert_eq!(reason(&[], &[], &[]), "");
    }

    #[test]
    fn a_slot_is_one_sequences_alone() {
        let check = |slots: [u32; 2], limit: usize| {
            let span = |row: u32| SequenceSpan {
                first_row: row,
                rows: 1,
                blocks: ONE,
                slot: SlotId(slots[row as usize]),
            };
            let step = Step {
                tokens: &[0, 0],
                positions: &[0, 0],
                sequences: &[span(0), span(1)],
                ..Step::default()
            };
            step.check(&StepLimits {
                slots: limit,
                ..LIMITS
            })
            .map_err(|error| error.to_string())
        };
        assert_eq!(check([0, 0], 0), Ok(()));
        assert_eq!(check([2, 0], 3), Ok(()));
        assert!(check([1, 0], 0).unwrap_err().contains("slot 1, there are 0"));
        assert!(check([0, 3], 3).unwrap_err().contains("slot 3"));
        assert!(check([2, 2], 3).unwrap_err().contains("another sequence's"));
    }

    #[test]
    fn each_contradiction_is_named() {
        let cases: [Case<'_>; 10] = [
            (&[0; 5], &[], &[], "5 rows"),
            (&[0], &[], &[], "1 of 1 rows belong"),
            (&[0], &[(1, 1, ONE)], &[], "from row 1"),
            (&[0], &[(0, 0, ONE)], &[], "0 rows"),
            (&[0], &[(0, 2, ONE)], &[], "ends at row 2"),
            (&[0, 2], &[(0, 2, ONE)], &[], "position 2 follows 0"),
            (&[8], &[(0, 1, ONE)], &[], "position 8"),
            (&[2], &[(0, 1, ONE)], &[], "needs 2"),
            (&[0], &[(0, 1, FAR)], &[], "block 3"),
            (&[0], &[(0, 1, ONE)], &[1], "output row 1"),
        ];
        for (positions, spans, outputs, expected) in cases {
            let found = reason(positions, spans, outputs);
            assert!(found.contains(expected), "{found:?} does not say {expected:?}");
        }
        assert!(reason(&[0, 1], &[(0, 2, ONE)], &[1, 0]).contains("grow"));
        assert!(reason(&[0, 1], &[(0, 2, ONE)], &[0, 1, 1]).contains("3 output rows"));
    }
}
