//! Settings of the service, with the values it runs with when nobody says otherwise.

use doorstep::code::Shape;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of one server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where `doorstep init` made the keys and the database.
    pub data_dir: PathBuf,
    /// Where the `log` provider appends the messages to customers, one JSON object a line.
    pub messages_file: PathBuf,
    /// What delivery codes look like. Codes that were made keep the shape they were made with.
    pub code_shape: Shape,
    /// The address that messages link to, with the text to scan behind a `#`; without it messages
    /// carry the code alone.
    pub link_base: Option<String>,
    /// How long a request may take, its body included.
    pub request_timeout: Duration,
    /// How often the jobs look for work.
    pub job_interval: Duration,
    /// How long a stopping server waits for requests that are under way.
    pub shutdown_timeout: Duration,
}

impl Config {
    /// The usual settings for a data directory.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            messages_file: data_dir.join("messages.jsonl"),
            data_dir,
            code_shape: Shape::DIGITS_8,
            link_base: None,
            request_timeout: Duration::from_secs(30),
            job_interval: Duration::from_millis(250),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}
