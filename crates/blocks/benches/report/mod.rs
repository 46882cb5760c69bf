//! The tables of `docs/performance.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use roadcast_signals::Timestamp;

/// What was measured of one recording in blocks of one length.
pub(crate) struct Row {
    /// The recording.
    pub(crate) data: &'static str,
    /// Samples of a block.
    pub(crate) per_block: usize,
    /// How many samples were measured.
    pub(crate) samples: usize,
    pub(crate) sizes: Sizes,
    pub(crate) speeds: Speeds,
}

/// Bytes a sample.
pub(crate) struct Sizes {
    pub(crate) json: f64,
    pub(crate) zstd_3: f64,
    pub(crate) zstd_19: f64,
    pub(crate) block: f64,
}

/// Samples a second.
pub(crate) struct Speeds {
    pub(crate) encode: f64,
    pub(crate) decode: f64,
    pub(crate) from_rows: f64,
    pub(crate) to_rows: f64,
    pub(crate) zstd_3_encode: f64,
    pub(crate) zstd_3_decode: f64,
    pub(crate) zstd_3_from_rows: f64,
    pub(crate) zstd_3_to_rows: f64,
    pub(crate) zstd_19_encode: f64,
    pub(crate) zstd_19_decode: f64,
}

const BEGIN: &str = "<!-- written by `cargo bench -p roadcast-blocks` -->\n";
const END: &str = "<!-- end of what is written -->";

/// Prints the tables, and puts them between the marks of `docs/performance.md`.
pub(crate) fn write(rows: &[Row]) {
    let tables = tables(rows);
    println!("{tables}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    match parts {
        Some((before, after)) => std::fs::write(&file, format!("{before}{BEGIN}{tables}{END}{after}")).unwrap(),
        None => println!("docs/performance.md has no place for the tables: it is left as it is"),
    }
}

fn tables(rows: &[Row]) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_ms(i64::try_from(now.as_millis()).unwrap_or_default()).to_string();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let date = now.get(..10).unwrap_or_default();
    let mut text = format!("\nMeasured on {date}, {cores} shared cores, {}.\n\n", std::env::consts::ARCH);
    text.push_str("Bytes a sample:\n\n");
    text.push_str("| data | samples | a block | JSON | zstd-3 | zstd-19 + dictionary | **block** | smaller than zstd-19 + dictionary |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for Row { data, per_block, samples, sizes, .. } in rows {
        let Sizes { json, zstd_3, zstd_19, block } = sizes;
        let ratio = zstd_19 / block;
        let _ = writeln!(
            text,
            "| {data} | {samples} | {per_block} | {json:.0} | {zstd_3:.1} | {zstd_19:.1} | **{block:.1}** | {ratio:.1} × |"
        );
    }
    text.push_str("\nMillions of samples a second of CPU time, there / back, columns or text in memory:\n\n");
    text.push_str(
        "| data | a block | zstd-3 | zstd-19 + dictionary | **block** | times zstd-3 |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for Row { data, per_block, speeds, .. } in rows {
        let Speeds { encode, decode, zstd_3_encode, zstd_3_decode, zstd_19_encode, zstd_19_decode, .. } = speeds;
        let _ = writeln!(
            text,
            "| {data} | {per_block} | {} | {} | **{}** | {} |",
            millions(*zstd_3_encode, *zstd_3_decode),
            millions(*zstd_19_encode, *zstd_19_decode),
            millions(*encode, *decode),
            times(encode / zstd_3_encode, decode / zstd_3_decode),
        );
    }
    text.push_str("\nThe same from rows to bytes / from bytes to rows, JSON written and read:\n\n");
    text.push_str("| data | a block | JSON, zstd-3 | **block** | times zstd-3 |\n|---|--:|--:|--:|--:|\n");
    for Row { data, per_block, speeds, .. } in rows {
        let Speeds { from_rows, to_rows, zstd_3_from_rows, zstd_3_to_rows, .. } = speeds;
        let _ = writeln!(
            text,
            "| {data} | {per_block} | {} | **{}** | {} |",
            millions(*zstd_3_from_rows, *zstd_3_to_rows),
            millions(*from_rows, *to_rows),
            times(from_rows / zstd_3_from_rows, to_rows / zstd_3_to_rows),
        );
    }
    text.push('\n');
    text
}

fn millions(there: f64, back: f64) -> String {
    let one = |speed: f64| if speed < 1e5 { format!("{:.3}", speed / 1e6) } else { format!("{:.2}", speed / 1e6) };
    format!("{} / {}", one(there), one(back))
}

fn times(there: f64, back: f64) -> String {
    format!("{there:.1} / {back:.1}")
}
