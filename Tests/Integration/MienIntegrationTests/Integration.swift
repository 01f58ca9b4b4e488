import Testing

extension Tag {
    /// Stories that start real nodes and commands.
    @Tag static var processes: Self
}

/// Everything here runs the built `mien` as separate processes, one story after the other: they measure times and share
/// the machine's processors.
@Suite(.serialized, .tags(.processes))
enum Integration {}
