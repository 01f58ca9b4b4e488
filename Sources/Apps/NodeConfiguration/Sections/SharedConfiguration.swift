/// What every role reads alike, so that a process with several roles reads it once.
struct SharedConfiguration {
    let limits: RequestLimits
    let token: AccessToken?
    let tls: TLSFiles?
    let log: LogConfiguration

    init(reading configuration: inout LayeredConfiguration) {
        limits = RequestLimits(reading: &configuration)
        token = AccessToken.read(from: &configuration)
        tls = TLSFiles.read(from: &configuration)
        log = LogConfiguration(reading: &configuration)
    }
}
