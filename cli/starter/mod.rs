//! What `tidemill init` begins with: the files of a small project that runs at once.

use camino::Utf8Path;
use clap::ValueEnum;
use tidemill_engine::name::PipelineName;

/// The name of the schema file beside a pipeline.
pub(crate) const SCHEMA_FILE: &str = "pipeline.schema.json";

/// Which project to begin with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// The built-in steps, from a CSV file to a deployed model; no code, no Python.
    #[default]
    Builtin,
    /// Two Python scripts with nothing but the standard library.
    Python,
}

/// A file to be made: its path, and what is in it.
pub(crate) struct Starter {
    /// Relative to the new project.
    pub(crate) path: &'static str,
    /// The text.
    pub(crate) text: String,
}

/// The files of a new project whose pipeline has this name.
pub(crate) fn files(template: Template, name: &PipelineName) -> Vec<Starter> {
    let file = |path, text: &str| Starter { path, text: text.replace("@NAME@", name.as_str()) };
    let mut files = match template {
        Template::Builtin => vec![
            file("pipeline.toml", include_str!("builtin/pipeline.toml")),
            file("data/flats.csv", include_str!("builtin/data/flats.csv")),
        ],
        Template::Python => vec![
            file("pipeline.toml", include_str!("python/pipeline.toml")),
            file("prepare.py", include_str!("python/prepare.py")),
            file("train.py", include_str!("python/train.py")),
            file("data/flats.csv", include_str!("python/data/flats.csv")),
        ],
    };
    files.push(Starter { path: SCHEMA_FILE, text: schema() });
    files
}

/// The JSON Schema of pipeline files, as a file.
pub(crate) fn schema() -> String {
    format!("{:#}\n", tidemill_engine::spec::schema_for(tidemill_steps::catalog().interfaces()))
}

/// A name for a pipeline in this folder.
pub(crate) fn name_for(folder: &Utf8Path) -> PipelineName {
    let lower = folder.file_name().unwrap_or_default().to_lowercase();
    let plain: String =
        lower.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let plain = plain.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit()).trim_end_matches('-');
    let cut: String = plain.chars().take(64).collect();
    PipelineName::new(&cut).or_else(|_| PipelineName::new("pipeline")).expect("`pipeline` is a name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_name_as_far_as_it_is_one() {
        let name = |folder: &str| name_for(folder.into()).to_string();
        assert_eq!(name("/home/ada/House Prices"), "house-prices");
        assert_eq!(name("/home/ada/2026-flats_"), "flats_");
        assert_eq!(name("/home/ada/价格"), "pipeline");
        assert_eq!(name("/"), "pipeline");
        assert_eq!(name(&"x".repeat(90)), "x".repeat(64));
    }

    #[test]
    fn every_template_is_a_sound_pipeline() {
        for template in [Template::Builtin, Template::Python] {
            let files = files(template, &PipelineName::new("flats").unwrap());
            let text = &files.iter().find(|file| file.path == "pipeline.toml").unwrap().text;
            let catalog = tidemill_steps::catalog();
            let request = tidemill_engine::spec::LoadRequest {
                file: Utf8Path::new("/flats/pipeline.toml"),
                text,
                set: &[],
                params_files: &[],
                catalog: catalog.as_ref(),
                executors: tidemill_engine::executors::Executors::none(),
            };
            let graph = tidemill_engine::graph::load(&request);
            assert!(graph.is_ok(), "{template:?}: {:#?}", graph.err());
            assert!(text.starts_with(&format!("#:schema {SCHEMA_FILE}\n")));
        }
    }
}
