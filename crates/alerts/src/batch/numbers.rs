//! The numbers of columns.

use roadcast_domain::event::{Body, Event};
use roadcast_signals::{Column, Values};

use super::Batch;
use crate::program::{Input, Reading};

impl Batch {
    /// Reads the columns of the inputs.
    pub(super) fn fill_numbers(&mut self, inputs: &[Input], events: &[&Event]) {
        let rows = self.rows.len();
        self.numbers.clear();
        self.numbers.resize(rows.saturating_mul(inputs.len()), f64::NAN);
        if rows == 0 {
            return;
        }
        for (event, first) in events.iter().zip(&self.first_samples) {
            let Body::Telemetry(telemetry) = &event.body else { continue };
            let length = telemetry.samples.len();
            let Some(row_of_sample) = self.row_of_sample.get(*first..first.saturating_add(length)) else { continue };
            for (input, numbers) in inputs.iter().zip(self.numbers.chunks_exact_mut(rows)) {
                let Some(column) = telemetry.samples.column_of(input.signal) else { continue };
                let present = column.presence.rows(length).filter_map(|sample| row_of_sample.get(sample).copied());
                read(column, &input.reading, present, numbers);
            }
        }
    }
}

/// Writes the values of a column to the rows of the samples that have it. Rows that do not exist are skipped.
fn read(column: &Column, reading: &Reading, rows: impl Iterator<Item = usize>, numbers: &mut [f64]) {
    let truth = |is_true: bool| if is_true { 1.0 } else { 0.0 };
    let mut write = |row: usize, number: f64| {
        if let Some(place) = numbers.get_mut(row) {
            *place = number;
        }
    };
    match (reading, &column.values) {
        (Reading::Number, Values::Grid { resolution, points }) => {
            rows.zip(points).for_each(|(row, point)| write(row, resolution.value(*point)));
        }
        (Reading::Number, Values::Numbers(values)) => rows.zip(values).for_each(|(row, number)| write(row, *number)),
        (Reading::Bool, Values::Bools(values)) => rows.zip(values).for_each(|(row, value)| write(row, truth(*value))),
        (Reading::Text(text), Values::Texts { dictionary, indices }) => {
            let is_text: Vec<f64> = dictionary.iter().map(|other| truth(other == text)).collect();
            let number = |index: &u32| usize::try_from(*index).ok().and_then(|index| is_text.get(index)).copied();
            rows.zip(indices).for_each(|(row, index)| write(row, number(index).unwrap_or(f64::NAN)));
        }
        (Reading::Presence, _) => rows.for_each(|row| write(row, 1.0)),
        (reading, values) => {
            for (row, value) in rows.zip(values.iter()) {
                let number = match reading {
                    Reading::Number => value.as_number(),
                    Reading::Bool => value.as_bool().map(truth),
                    Reading::Text(text) => value.as_text().map(|other| truth(other == &**text)),
                    Reading::Presence => Some(1.0),
                };
                write(row, number.unwrap_or(f64::NAN));
            }
        }
    }
}
