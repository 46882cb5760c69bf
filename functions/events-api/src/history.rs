//! The history of a vehicle as samples or aggregated windows, in JSON or CSV.

use std::borrow::Cow;
use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::selection::SignalPattern;
use roadcast_lambda_kit::http::query::{integer, list, optional, text};
use roadcast_lambda_kit::http::{ApiRequest as _, Call, Page, Response, parameters};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::Reader;
use roadcast_services::query::{HistoryPage, HistoryRange, Resolution, SamplePosition, SampleRow, Series, Window};
use roadcast_signals::{SignalPath, Signals, Value};
use serde::Serialize;
use serde_json::json;

use crate::EventsApi;
use crate::queries::{TIME, check_interval, selection, signal_pattern};

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
/// The media type of CSV responses, with the parameters of RFC 4180.
const CSV_CONTENT_TYPE: &str = "text/csv; charset=utf-8; header=present";

parameters! {
    /// The query of `GET /vehicles/{vid}/history`.
    pub(crate) struct GetHistory {
        from: Option<Timestamp> = "from" => optional(TIME),
        to: Option<Timestamp> = "to" => optional(TIME),
        package: Option<String> = "package" => text,
        signals: Option<Vec<SignalPattern>> = "signal" => list(signal_pattern),
        resolution: Option<Resolution> = "resolution" => resolution,
        limit: usize = "limit" => integer(1..=10_000, 1000),
        cursor: Option<String> = "cursor" => text,
    }
}

impl<Ports: PortSet> EventsApi<Ports> {
    /// Returns a page of the history of a vehicle.
    pub(crate) async fn get_vehicle_history(
        &self,
        Call { query, request, caller }: Call<'_, GetHistory, Reader>,
    ) -> Result<Response, Problem> {
        check_interval(query.from, query.to)?;
        let range = HistoryRange {
            vid: request.path_parameter("vid")?,
            from: query.from.unwrap_or(Timestamp::from_ms(0)),
            to: query.to.unwrap_or(self.queries.clock.now().plus_ms(roadcast_domain::limits::CLOCK_AHEAD_MS)),
            selection: selection(None, query.package, query.signals, &self.queries.entitlements).await?,
            limit: query.limit,
        };
        let format = request.preferred_media_type(&[JSON, CSV])?;
        let page = Page::new(request, &caller, query.cursor);
        match query.resolution {
            None => {
                let history = self.queries.samples(&caller, &range, page.start::<SamplePosition>().await?).await?;
                if format == CSV {
                    return page.text_response(CSV_CONTENT_TYPE, samples_csv(&history)?, history.next.as_ref()).await;
                }
                let samples = history.rows.iter().map(SampleView::from).collect();
                page.json_response(SamplesBody { samples }, history.next.as_ref()).await
            }
            Some(resolution) => {
                let history = self.queries.windows(&caller, &range, resolution, page.start::<Timestamp>().await?).await?;
                if format == CSV {
                    return page.text_response(CSV_CONTENT_TYPE, windows_csv(&history)?, history.next.as_ref()).await;
                }
                let windows = history.rows.iter().map(WindowView::from).collect();
                let body = WindowsBody { resolution: format!("{}s", resolution.seconds()), windows };
                page.json_response(body, history.next.as_ref()).await
            }
        }
    }
}

fn resolution(_: &str, text: Option<&str>) -> Result<Option<Resolution>, Problem> {
    text.map(parse_resolution).transpose()
}

/// Parses a number with a unit of time: `60s`, `5m`, `1h`, `1d`.
fn parse_resolution(text: &str) -> Result<Resolution, Problem> {
    let parsed = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        let is_plain = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
        Resolution::from_seconds(is_plain.then(|| number.parse::<u32>().ok())??.checked_mul(seconds)?)
    };
    parsed()
        .ok_or_else(|| Problem::invalid_parameter("resolution", "must be a duration from 1s to 1d, such as 60s, 5m or 1h"))
}

/// A page of samples. The rows are written as they are, because a copy in JSON values would take several times their memory.
#[derive(Serialize)]
struct SamplesBody<'a> {
    samples: Vec<SampleView<'a>>,
}

#[derive(Serialize)]
struct SampleView<'a> {
    at: Timestamp,
    signals: &'a Signals,
}

impl<'a> From<&'a SampleRow> for SampleView<'a> {
    fn from(row: &'a SampleRow) -> Self {
        Self { at: row.position.at, signals: &row.signals }
    }
}

/// A page of windows.
#[derive(Serialize)]
struct WindowsBody<'a> {
    resolution: String,
    windows: Vec<WindowView<'a>>,
}

#[derive(Serialize)]
struct WindowView<'a> {
    at: Timestamp,
    signals: BTreeMap<&'a str, SeriesView<'a>>,
}

impl<'a> From<&'a Window> for WindowView<'a> {
    fn from(window: &'a Window) -> Self {
        let signals = window.signals.iter().map(|(path, series)| (path.as_str(), SeriesView::from(series)));
        Self { at: window.at, signals: signals.collect() }
    }
}

#[derive(Serialize)]
struct SeriesView<'a> {
    last: &'a Value,
    count: u64,
    #[serde(flatten)]
    statistics: Option<StatisticsView>,
}

#[derive(Serialize)]
struct StatisticsView {
    min: Option<Value>,
    max: Option<Value>,
    mean: Option<Value>,
}

impl<'a> From<&'a Series> for SeriesView<'a> {
    fn from(series: &'a Series) -> Self {
        // Numbers are written as signal values are: integers without a fraction.
        let statistics = series.statistics.map(|statistics| StatisticsView {
            min: Value::number(statistics.min),
            max: Value::number(statistics.max),
            mean: Value::number(statistics.mean()),
        });
        Self { last: &series.last, count: series.count, statistics }
    }
}

fn samples_csv(history: &HistoryPage<SampleRow, SamplePosition>) -> Result<String, Problem> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let write = |table: &mut csv::Writer<Vec<u8>>, row: [&str; 4]| table.write_record(row).map_err(Problem::internal);
    write(&mut table, ["at", "signal", "unit", "value"])?;
    for row in &history.rows {
        let at = row.position.at.to_string();
        for (path, value) in &row.signals {
            write(&mut table, [&at, &text_cell(path.as_str()), unit(path), &cell(value)])?;
        }
    }
    finish_csv(table)
}

fn windows_csv(history: &HistoryPage<Window, Timestamp>) -> Result<String, Problem> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let write = |table: &mut csv::Writer<Vec<u8>>, row: [&str; 8]| table.write_record(row).map_err(Problem::internal);
    write(&mut table, ["at", "signal", "unit", "min", "max", "mean", "last", "count"])?;
    for window in &history.rows {
        let at = window.at.to_string();
        for (path, series) in &window.signals {
            let numbers = series.statistics.map(|statistics| [statistics.min, statistics.max, statistics.mean()]);
            let [min, max, mean] = numbers.map(|all| all.map(|n| cell(&Value::Number(n)))).unwrap_or_default();
            let (last, count) = (cell(&series.last), series.count.to_string());
            write(&mut table, [&at, &text_cell(path.as_str()), unit(path), &min, &max, &mean, &last, &count])?;
        }
    }
    finish_csv(table)
}

fn unit(path: &SignalPath) -> &'static str {
    path.def().and_then(|def| def.unit).unwrap_or_default()
}

/// Formats a value for a CSV cell: text as a text cell, any other value as JSON.
fn cell(value: &Value) -> String {
    value.as_text().map_or_else(|| json!(value).to_string(), |text| text_cell(text).into_owned())
}

/// Puts an apostrophe in front of text that a spreadsheet would evaluate as a formula (OWASP, "CSV Injection").
fn text_cell(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}").into() } else { text.into() }
}

fn finish_csv(table: csv::Writer<Vec<u8>>) -> Result<String, Problem> {
    let bytes = table.into_inner().map_err(|error| Problem::internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolution_is_a_number_with_a_unit() {
        for (text, seconds) in [("1s", 1), ("60s", 60), ("5m", 300), ("1h", 3600), ("1d", 86_400), ("86400s", 86_400)] {
            assert_eq!(parse_resolution(text).unwrap().seconds(), seconds, "{text}");
        }
        for text in ["", "s", "60", "0s", "2d", "1.5m", "-1s", "+1s", "60S", "1 h", "99999999999s", "ä"] {
            assert!(parse_resolution(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_is_quoted_in_csv_if_needed() {
        let signals = [("Acme.Note", Value::Text("a,\"b\"".into())), ("Vehicle.Speed", Value::Number(48.0))];
        let signals = signals.into_iter().map(|(path, value)| (SignalPath::parse(path).unwrap(), value)).collect();
        let row = SampleRow { position: SamplePosition::first_at(Timestamp::from_ms(0)), signals };
        let csv = samples_csv(&HistoryPage { rows: vec![row], next: None }).unwrap();
        let at = "1970-01-01T00:00:00.000Z";
        let expected = format!("at,signal,unit,value\n{at},Acme.Note,,\"a,\"\"b\"\"\"\n{at},Vehicle.Speed,km/h,48\n");
        assert_eq!(csv, expected);
    }

    #[test]
    fn text_that_looks_like_a_formula_is_guarded_in_csv() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"http://x\")"] {
            assert_eq!(cell(&Value::from(text)), format!("'{text}"));
        }
        for text in ["", "a=1", "'=1", " =1", "1-2"] {
            assert_eq!(cell(&Value::from(text)), text);
        }
        assert_eq!(cell(&Value::Number(-1.5)), "-1.5", "a negative number is not text");
        assert_eq!(text_cell("-acme.note"), "'-acme.note");
    }

    #[test]
    fn samples_and_windows_guard_text_cells() {
        let signals = [("Acme.Note", Value::from("=1+1,2")), ("-acme", Value::Number(-1.0))];
        let signals = signals.map(|(path, value)| (SignalPath::parse(path).unwrap(), value));
        let position = SamplePosition::first_at(Timestamp::from_ms(0));
        let row = SampleRow { position, signals: signals.into_iter().collect() };
        let csv = samples_csv(&HistoryPage { rows: vec![row], next: None }).unwrap();
        let cells: Vec<&str> = csv.lines().skip(1).map(|line| line.split_once(',').unwrap().1).collect();
        assert_eq!(cells, ["'-acme,,-1", "Acme.Note,,\"'=1+1,2\""]);
        let series = Series { last: Value::from("@now"), count: 1, statistics: None };
        let window =
            Window { at: Timestamp::from_ms(0), signals: [(SignalPath::parse("Acme.Note").unwrap(), series)].into() };
        let csv = windows_csv(&HistoryPage { rows: vec![window], next: None }).unwrap();
        assert!(csv.ends_with("Acme.Note,,,,,'@now,1\n"), "{csv}");
    }
}
