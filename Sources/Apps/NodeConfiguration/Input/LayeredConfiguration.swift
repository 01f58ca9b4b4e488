import Configuration

/// The sources of one role's options, layered: reads typed values and collects everything that is wrong with them.
struct LayeredConfiguration {
    let role: NodeRole
    private let reader: ConfigReader
    private let file: YAMLFile?
    private let environment: [String: String]
    private let flags: [String: String]
    private(set) var problems: [ConfigurationProblem] = []

    init(role: NodeRole, sources: ConfigurationSources) {
        self.role = role
        file = sources.file.map { YAMLFile(path: $0) }
        environment = sources.environment.filter { $0.key.hasPrefix("MIEN_") && !$0.value.isEmpty }
        flags = sources.flags

        var providers: [any ConfigProvider] = [
            InMemoryProvider(name: "command line", values: Self.values(flags.mapValues { [$0] }, splitsLists: true)),
            EnvironmentVariablesProvider(
                environmentVariables: environment,
                secretsSpecifier: .specific([AccessToken.environmentName])
            ).prefixKeys(with: "mien"),
        ]
        if let file {
            let values = Self.values(file.settings.mapValues(\.texts), splitsLists: false)
            providers.append(InMemoryProvider(name: file.path, values: values))
        }
        let defaults = KeyCatalogue.all.map { ($0.path, [$0.defaultText]) }
        let defaultValues = Self.values(Dictionary(uniqueKeysWithValues: defaults), splitsLists: false)
        providers.append(InMemoryProvider(name: "defaults", values: defaultValues))
        reader = ConfigReader(providers: providers)

        problems += file?.problems ?? []
        checkNames()
        checkKeysOfOtherRoles()
    }

    /// The value of the highest source that has one. An invalid one is noted in `problems` and the default is given, so
    /// that the rest can be checked.
    mutating func value<Value>(_ key: ConfigurationKey<Value>) -> Value {
        let configKey = ConfigKey(key.path)
        let texts = key.isList ? reader.stringArray(forKey: configKey) : reader.string(forKey: configKey).map { [$0] }
        guard let texts else { preconditionFailure("\(key.path) is not in the catalogue") }
        if let value = key.parse(texts) { return value }
        problems.append(.invalid(key.path, texts: texts, allowed: key.allowed, at: place(of: key.path)))
        return key.defaultValue
    }

    /// The secret text of `MIEN_TOKEN`, which is in no catalogue: it has no file key and no flag.
    var tokenText: String? { reader.string(forKey: "token", isSecret: true) }

    /// Where the value of a key comes from.
    func place(of path: String) -> ConfigurationPlace {
        if flags[path] != nil { return .commandLine }
        let name = Self.environmentName(path)
        if environment[name] != nil { return .environment(name: name) }
        if let file, let setting = file.settings[path] { return .file(path: file.path, line: setting.line) }
        return .builtIn
    }

    /// The value that the file itself gives a key, whatever overrides it.
    func fileValue<Value>(_ key: ConfigurationKey<Value>) -> Value? {
        file?.settings[key.path].flatMap { key.parse($0.texts) }
    }

    /// Where the file sets a key, whatever overrides it.
    func filePlace(of path: String) -> ConfigurationPlace {
        guard let file, let setting = file.settings[path] else { preconditionFailure("\(path) is not in the file") }
        return .file(path: file.path, line: setting.line)
    }

    mutating func note(_ problem: ConfigurationProblem) { problems.append(problem) }

    /// - Throws: everything noted so far, if anything.
    func finish() throws(NodeConfigurationError) {
        guard !problems.isEmpty else { return }
        throw NodeConfigurationError(problems: problems.sorted { ConfigurationPlace.precedes($0.place, $1.place) })
    }

    /// Variables and flags that are no keys: mistyped, and silently without effect otherwise.
    private mutating func checkNames() {
        problems += EnvironmentVariables.problems(in: environment)
        for path in flags.keys.sorted() where !KeyCatalogue.all.contains(where: { $0.path == path }) {
            problems.append(.unknown(path, at: .commandLine))
        }
    }

    /// Settings of the file that this role does not read must still be right; `mien dev` refuses those that it decides.
    private mutating func checkKeysOfOtherRoles() {
        guard let file else { return }
        let own = Set(role.keyPaths)
        for key in KeyCatalogue.all where !own.contains(key.path) {
            guard let setting = file.settings[key.path] else { continue }
            let place = ConfigurationPlace.file(path: file.path, line: setting.line)
            if role == .dev {
                let name = key.path.split(separator: ".").last ?? ""
                let instead = ["listen", "admin_listen", "data"].contains(name) ? "set dev.\(name)" : "remove it"
                problems.append(.unusedKey(place, key: key.path, instead: instead))
            } else if !key.accepts(setting.texts) {
                problems.append(.invalid(key.path, texts: setting.texts, allowed: key.allowed, at: place))
            }
        }
    }

    private static func values(_ texts: [String: [String]], splitsLists: Bool) -> [AbsoluteConfigKey: ConfigValue] {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for key in KeyCatalogue.all {
            guard let texts = texts[key.path] else { continue }
            let content: ConfigContent
            if key.isList {
                let elements = splitsLists ? texts[0].split(separator: ",", omittingEmptySubsequences: false) : []
                content = .stringArray(splitsLists ? elements.map { trimmed($0) } : texts)
            } else {
                content = .string(texts[0])
            }
            values[AbsoluteConfigKey(key.path.split(separator: ".").map(String.init))] = .init(content, isSecret: false)
        }
        return values
    }

    private static func trimmed(_ text: Substring) -> String {
        let tail = text.drop { $0.isWhitespace }
        return String(tail.reversed().drop { $0.isWhitespace }.reversed())
    }

    private static func environmentName(_ path: String) -> String { AnyConfigurationKey.environmentName(path) }
}

extension AccessToken {
    static let environmentName = "MIEN_TOKEN"
}

extension ConfigurationProblem {
    static func invalid(
        _ key: String,
        texts: [String],
        allowed: String,
        at place: ConfigurationPlace
    ) -> ConfigurationProblem {
        .invalidValue(place, key: key, text: texts.joined(separator: ", "), allowed: allowed)
    }
}
