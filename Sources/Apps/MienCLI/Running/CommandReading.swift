import ArgumentParser

/// A command line as the parser reads it; nothing is run.
package enum CommandReading: Hashable, Sendable {
    /// It would be run: every argument was read, and is in its range.
    case accepted
    /// Help, or the version.
    case answered
    /// How the process would end, and what it would say.
    case refused(status: Int32, message: String)

    package init(_ arguments: [String]) {
        do {
            _ = try Mien.parseAsRoot(arguments)
            self = .accepted
        } catch {
            let status = Mien.exitCode(for: error).rawValue
            self = status == 0 ? .answered : .refused(status: status, message: Mien.message(for: error))
        }
    }
}

/// A command of the program, or a name that groups others.
package struct CommandOutline: Sendable {
    /// The program and everything below it, each before what it groups.
    package static let all = outlines(of: Mien.self, words: [])
    /// Wider than any line of a help, so that nothing is broken.
    private static let columns = 1000

    /// What is typed for it behind `mien`; nothing for the program itself.
    package let words: [String]
    package let groupsOthers: Bool
    /// What `--help` shows.
    package let help: String
    /// The part of it with the examples, as it was written.
    package let discussion: String

    private static func outlines(of command: any ParsableCommand.Type, words: [String]) -> [CommandOutline] {
        let subcommands = command.configuration.subcommands
        let outline = CommandOutline(
            words: words,
            groupsOthers: !subcommands.isEmpty,
            help: Mien.helpMessage(for: command, includeHidden: true, columns: columns),
            discussion: command.configuration.discussion
        )
        return [outline] + subcommands.flatMap { outlines(of: $0, words: words + [$0._commandName]) }
    }
}
