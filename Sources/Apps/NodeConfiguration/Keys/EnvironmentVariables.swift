import VectorMath

/// The variables that begin with `MIEN_`: those of no effect are mistyped, and a person is told so.
package enum EnvironmentVariables {
    static let prefix = "MIEN_"
    static let kernelLevel = "MIEN_KERNEL_LEVEL"
    /// Read beside those of the keys.
    private static let others = [AccessToken.environmentName, "MIEN_COORDINATOR", "MIEN_TLS_TRUST", kernelLevel]
    /// Read by the scripts of `deploy/` and by the tests, which may start `mien` with them.
    private static let ofScripts: Set = [
        "MIEN_BINARY", "MIEN_BUILD_JOBS", "MIEN_QUICKSTART_DATA", "MIEN_TEST_SEED", "MIEN_WRITE_GOLDEN",
    ]

    /// What is wrong with an environment whatever the command: unknown names, and a kernel level that there is not,
    /// which the kernels themselves would pass over.
    ///
    /// - Returns: one problem for each variable, sorted by name; none for empty values, which count as not set.
    package static func problems(in environment: [String: String]) -> [ConfigurationProblem] {
        environment.filter { $0.key.hasPrefix(prefix) && !$0.value.isEmpty }.sorted { $0.key < $1.key }
            .compactMap { problem($0.key, $0.value) }
    }

    private static func problem(_ name: String, _ value: String) -> ConfigurationProblem? {
        let place = ConfigurationPlace.environment(name: name)
        if name == kernelLevel {
            let names = KernelLevel.allCases.map(\.name)
            let allowed = "one of " + names.joined(separator: ", ")
            return names.contains(value) ? nil : .invalidValue(place, key: name, text: value, allowed: allowed)
        }
        let known = KeyCatalogue.all.map(\.environmentName) + others
        guard !known.contains(name), !ofScripts.contains(name), !isServiceLink(name, value) else { return nil }
        let section = YAMLFile.names(in: "").filter(YAMLFile.isSection)
            .map { AnyConfigurationKey.environmentName($0) + "_" }.first(where: name.hasPrefix)
        let alike = section.map { section in known.filter { $0.hasPrefix(section) }.sorted() } ?? []
        return .unknownVariable(place, name: name, nearest: nearest(name, among: known), known: alike)
    }

    /// The nearest whole name, or the one whose key ends alike: `MIEN_DEV_LISTEN` for `MIEN_LISTEM`.
    private static func nearest(_ name: String, among known: [String]) -> String? {
        if let whole = NearestKey.find(name, among: known) { return whole }
        let paths = KeyCatalogue.all.map(\.path)
        let key = String(name.dropFirst(prefix.utf8.count)).lowercased()
        return NearestKey.find(key, among: paths).map(AnyConfigurationKey.environmentName)
    }

    /// Whether Kubernetes (or a Docker link) set the variable, for a service that is called `mien` or `mien-…`:
    /// `MIEN_SERVICE_HOST`, `MIEN_PORT_7400_TCP_ADDR`. Nobody typed it.
    private static func isServiceLink(_ name: String, _ value: String) -> Bool {
        name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT")
            || name.hasSuffix("_PORT") && value.contains("://")
            || name.contains("_PORT_") && (name.contains("_TCP") || name.contains("_UDP"))
    }
}
