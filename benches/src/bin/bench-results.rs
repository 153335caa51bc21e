//! `bench-results FOLDER PROFILE NAME…`: makes one table and a picture of what the benchmarks of
//! these names have left in `FOLDER/parts`. `cargo xtask bench` calls it at the end.

use std::{env, path::Path, process::ExitCode};

use sql_batcher_benches::results::{PARTS, Results};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let [folder, profile, names @ ..] = &words[..] else {
        eprintln!("usage: bench-results FOLDER PROFILE NAME…");
        return ExitCode::from(2);
    };
    let folder = Path::new(folder);
    let results = Results::read(&folder.join(PARTS), profile, names);
    let written = results.and_then(|results| {
        println!("{}", results.markdown());
        results.write(folder)
    });
    match written {
        Ok(files) => {
            for file in files {
                println!("written: {}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
