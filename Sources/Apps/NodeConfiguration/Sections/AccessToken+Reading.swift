extension AccessToken {
    /// The cluster's token from `MIEN_TOKEN` or the file named by `token_file`; nil when neither is given.
    ///
    /// A `token_file` of the command line comes before `MIEN_TOKEN`, which comes before one of the YAML file; two in
    /// the environment are refused, as nothing says which is meant.
    static func read(from configuration: inout LayeredConfiguration) -> AccessToken? {
        let key = KeyCatalogue.tokenFile.path
        let path = configuration.value(KeyCatalogue.tokenFile)
        let filePlace = configuration.place(of: key)
        let environmentPlace = ConfigurationPlace.environment(name: environmentName)
        guard let text = configuration.tokenText, path == nil || filePlace != .commandLine else {
            return path.flatMap { token(inFile: $0, named: key, at: filePlace, &configuration) }
        }
        if path != nil, case .environment(let name) = filePlace {
            let reason = "\(environmentName) and \(name) are both set; keep one of them"
            configuration.note(.conflictingValues(environmentPlace, reason: reason))
        }
        return token(text, at: environmentPlace, &configuration)
    }

    private static func token(
        inFile path: String,
        named key: String,
        at place: ConfigurationPlace,
        _ configuration: inout LayeredConfiguration
    ) -> AccessToken? {
        do throws(RegularFile.Refusal) {
            let file = try RegularFile(path: path)
            guard file.permissions & 0o077 == 0 else {
                let command = "chmod 600 \(path)"
                let permissions = file.permissions
                configuration.note(
                    .exposedSecretFile(place, key: key, path: path, permissions: permissions, command: command)
                )
                return nil
            }
            var text = try file.text(limitBytes: 4096)
            while let last = text.last, last.isNewline { text.removeLast() }
            return token(text, at: place, &configuration)
        } catch {
            configuration.note(.unusableFile(place, key: key, path: path, reason: "\(error)"))
            return nil
        }
    }

    private static func token(
        _ text: String,
        at place: ConfigurationPlace,
        _ configuration: inout LayeredConfiguration
    ) -> AccessToken? {
        do {
            return try AccessToken(text)
        } catch {
            let reason =
                switch error {
                case .tooShort(let count):
                    "the token has \(count) characters and needs at least \(minimumCount); "
                        + "make one with: head -c 24 /dev/urandom | base64"
                case .tooLong(let count): "the token has \(count) characters and may have \(maximumCount)"
                case .notPrintable: "the token may hold only printable ASCII characters without spaces"
                }
            configuration.note(.invalidToken(place, reason: reason))
            return nil
        }
    }
}
