/// Where a node's options come from, in rising precedence: defaults, a YAML file, the environment, command-line flags.
package struct ConfigurationSources: Sendable {
    /// Path of the YAML file (`--config`); nil leaves it out.
    package var file: String?
    /// The process environment; names other than `MIEN_…` are not looked at, and an empty value counts as not set.
    package var environment: [String: String]
    /// Key path (`worker.listen`) → text, as given on the command line; lists are separated by commas.
    package var flags: [String: String]

    package init(file: String? = nil, environment: [String: String] = [:], flags: [String: String] = [:]) {
        self.file = file
        self.environment = environment
        self.flags = flags
    }
}
