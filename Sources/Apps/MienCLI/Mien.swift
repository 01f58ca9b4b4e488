import ArgumentParser
import NodeServer

/// The command line of Mien: nodes, collections, faces and searches.
@main
struct Mien: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mien",
        abstract: "Face search on a cluster: run nodes, import faces, search.",
        discussion: """
            EXAMPLE
              mien dev --data data/dev &
              mien generate gallery --faces 100000
              mien collection create people --dimension 512 --model synthetic-wild-512
              mien import people --embeddings gallery/embeddings.npy --ids gallery/ids.txt
              mien search people --probes gallery/photo.npy -k 3

            EXIT STATUS
              0   done
              1   the answer is no: a row was refused, a face or collection is not there
              64  the command line is wrong
              65  a file or a request holds what cannot be used
              69  the cluster cannot be reached, not all of it answers, or it is of another version
              70  a defect in Mien
              74  a file cannot be read or written, or a disk is full
              77  the token or certificate is not accepted
              78  the configuration is wrong
            """,
        version: NodeServer.version,
        groupedSubcommands: [
            CommandGroup(name: "Node", subcommands: [DevCommand.self, CoordinatorCommand.self, WorkerCommand.self]),
            CommandGroup(
                name: "Data",
                subcommands: [
                    CollectionCommand.self, ImportCommand.self, ExportCommand.self, SearchCommand.self,
                    FaceCommand.self, StatusCommand.self, TopCommand.self, GenerateCommand.self,
                ]
            ),
            CommandGroup(
                name: "Operation",
                subcommands: [
                    PlanCommand.self, ApplyCommand.self, OperationsCommand.self, OperationCommand.self,
                    DrainCommand.self, DecommissionCommand.self, RecommissionCommand.self, RebalanceCommand.self,
                    ShardCommand.self, ExplainCommand.self, VerifyCommand.self, BackupCommand.self,
                    MetadataCommand.self,
                ]
            ),
            CommandGroup(
                name: "Measurement",
                subcommands: [LoadCommand.self, EvaluateCommand.self, BenchCommand.self]
            ),
        ]
    )

    static func main() async {
        // Commands have embeddings in memory, too.
        CoreFiles.forbid()
        let console = Console.process()
        let status = await CommandRun.status(arguments: Array(CommandLine.arguments.dropFirst()), console: console)
        Self.exit(withError: status == 0 ? nil : ExitCode(status))
    }
}
