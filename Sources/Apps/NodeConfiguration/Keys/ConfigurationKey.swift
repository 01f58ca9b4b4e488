/// One option: its path, its default as text, and how its text is read.
///
/// `path` gives every name of the option: `worker.search_threads` in YAML and on the command line,
/// `MIEN_WORKER_SEARCH_THREADS` in the environment. An option that may be left unset has the empty text as its default.
struct ConfigurationKey<Value: Sendable>: Sendable {
    let path: String
    let defaultText: String
    let isList: Bool
    /// What may be given, as the end of the sentence "… must be …".
    let allowed: String
    /// Nil for a text that is not allowed. A scalar comes as one text, a list as one text for each element.
    let parse: @Sendable ([String]) -> Value?

    init(
        _ path: String,
        default defaultText: String,
        isList: Bool = false,
        allowed: String,
        parse: @escaping @Sendable ([String]) -> Value?
    ) {
        self.path = path
        self.defaultText = defaultText
        self.isList = isList
        self.allowed = allowed
        self.parse = parse
    }

    var defaultValue: Value {
        guard let value = parse([defaultText]) else { preconditionFailure("\(path): its own default is not allowed") }
        return value
    }
}

/// A `ConfigurationKey` of any type: what checking a file needs.
struct AnyConfigurationKey: Sendable {
    let path: String
    let defaultText: String
    let isList: Bool
    let allowed: String
    let accepts: @Sendable ([String]) -> Bool

    init<Value: Sendable>(_ key: ConfigurationKey<Value>) {
        path = key.path
        defaultText = key.defaultText
        isList = key.isList
        allowed = key.allowed
        accepts = { key.parse($0) != nil }
    }

    /// The option's name in the environment.
    var environmentName: String { Self.environmentName(path) }

    static func environmentName(_ path: String) -> String {
        "MIEN_" + path.uppercased().replacing(".", with: "_")
    }
}
