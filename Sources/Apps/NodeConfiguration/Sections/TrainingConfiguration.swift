/// When a collection's codebook is trained, and from how much.
package struct TrainingConfiguration: Sendable, Equatable {
    /// Faces in a collection from which training starts by itself; below, stored rows are scanned.
    package var minFaces: Int
    /// Most faces drawn from all shards to train on.
    package var sample: Int
    /// Inverted lists; nil lets the trainer choose by the collection's size.
    package var lists: Int?
    /// Growth since the last training from which on a collection is trained again.
    package var growth: Int

    init(reading configuration: inout LayeredConfiguration) {
        minFaces = configuration.value(KeyCatalogue.trainingMinFaces)
        sample = configuration.value(KeyCatalogue.trainingSample)
        lists = configuration.value(KeyCatalogue.trainingLists)
        growth = configuration.value(KeyCatalogue.trainingGrowth)
        if let lists, lists > sample {
            let reason =
                "coordinator.training.lists (\(lists)) must not be more than coordinator.training.sample "
                + "(\(sample)): each list needs a face to start from"
            configuration.note(
                .conflictingValues(configuration.place(of: KeyCatalogue.trainingLists.path), reason: reason)
            )
        }
    }
}
