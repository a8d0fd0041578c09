//! How long it takes until the library can be used.

use crate::table::{Row, Side};
use ferrolens::{Error, Result};
use ferrolens_kernel::install::cells;
use ferrolens_tests::FrontEnd;
use ferrolens_tests::process::{children, peak_mb};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub const NAME: &str = "library ready";

/// Imports, and printing the largest resident size.
const IMPORT: &str = "import transformer_lens, sae_lens, plotly, pandas\n\
print([int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')][0])";

/// A kernel's start to the first result that uses the prelude, beside the imports of a notebook.
pub fn measure(python: &Path, rounds: usize) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_peak, mut their_peak) = (0f64, 0f64);
    // The first of each reads its files from the disk.
    for round in 0..=rounds {
        let started = Instant::now();
        let mut front_end = FrontEnd::start();
        let reply = front_end.execute(cells::FIRST);
        let seconds = started.elapsed().as_secs_f64();
        if reply.status() != "ok" {
            return Err(Error::new(format!(
                "the first cell failed: {}",
                reply.traceback()
            )));
        }
        our_peak = our_peak.max(peak_of_family(front_end.process().id()));
        front_end.shut_down();
        drop(front_end);
        let started = Instant::now();
        let output = Command::new(python.join("ht/bin/python"))
            .args(["-c", IMPORT])
            .output()?;
        let import = started.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&output.stdout);
        let kilobytes = text
            .lines()
            .last()
            .and_then(|line| line.trim().parse::<f64>().ok());
        let Some(kilobytes) = kilobytes else {
            return Err(Error::new(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ));
        };
        their_peak = their_peak.max(kilobytes * 1024. / 1e6);
        if round > 0 {
            ours.push(seconds);
            theirs.push(import);
        }
    }
    let sides = vec![
        Side {
            label: "ferrolens".to_owned(),
            seconds: ours,
            peak_mb: our_peak,
        },
        Side {
            label: "imports".to_owned(),
            seconds: theirs,
            peak_mb: their_peak,
        },
    ];
    Ok(Row {
        name: NAME.to_owned(),
        work: None,
        must: 2.,
        aim: 5.,
        limit: None,
        sides,
    })
}

/// The largest resident sizes of a process and its children together, in MB.
fn peak_of_family(pid: u32) -> f64 {
    let of_children = children(pid).into_iter().map(peak_of_family);
    peak_mb(pid) + of_children.sum::<f64>()
}
