package otmon;

import static org.elasticsearch.common.util.concurrent.EsExecutors.DIRECT_EXECUTOR_SERVICE;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.datastreams.CreateDataStreamAction;
import org.elasticsearch.action.datastreams.DeleteDataStreamAction;
import org.elasticsearch.action.datastreams.GetDataStreamAction;
import org.elasticsearch.action.datastreams.GetDataStreamAction.Response.DataStreamInfo;
import org.elasticsearch.action.datastreams.GetDataStreamAction.Response.IndexProperties;
import org.elasticsearch.action.datastreams.GetDataStreamAction.Response.ManagedBy;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.action.support.master.AcknowledgedResponse;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.cluster.ClusterStateUpdateTask;
import org.elasticsearch.cluster.health.ClusterStateHealth;
import org.elasticsearch.cluster.metadata.DataStream;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.metadata.Metadata;
import org.elasticsearch.cluster.metadata.MetadataCreateDataStreamService;
import org.elasticsearch.cluster.metadata.MetadataCreateDataStreamService.CreateDataStreamClusterStateUpdateRequest;
import org.elasticsearch.cluster.metadata.MetadataDataStreamsService;
import org.elasticsearch.cluster.metadata.MetadataIndexTemplateService;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.Index;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.transport.TransportService;

/** Get, create and delete for data streams, on the server's own services. */
public final class DataStreams {
    private DataStreams() {}

    /** As much of a stream's description as the server can tell by itself: no time series, no ILM. */
    public static final class Get extends TransportAction<GetDataStreamAction.Request, GetDataStreamAction.Response> {
        private final ClusterService cluster;
        private final IndexNameExpressionResolver resolver;

        @Inject
        public Get(ActionFilters filters, TransportService transport, ClusterService cluster,
                   IndexNameExpressionResolver resolver) {
            super(GetDataStreamAction.NAME, filters, transport.getTaskManager(), DIRECT_EXECUTOR_SERVICE);
            this.cluster = cluster;
            this.resolver = resolver;
        }

        @Override
        protected void doExecute(Task task, GetDataStreamAction.Request request,
                                 ActionListener<GetDataStreamAction.Response> listener) {
            ActionListener.completeWith(listener, () -> {
                ClusterState state = cluster.state();
                List<String> names = resolver.dataStreamNames(state, request.indicesOptions(), request.getNames());
                return new GetDataStreamAction.Response(
                    names.stream().sorted().map(name -> describe(state, name)).toList());
            });
        }

        @SuppressWarnings("removal")
        private static DataStreamInfo describe(ClusterState state, String name) {
            Metadata metadata = state.metadata();
            DataStream stream = metadata.dataStreams().get(name);
            ManagedBy by = stream.getDataLifecycle() == null ? ManagedBy.UNMANAGED : ManagedBy.LIFECYCLE;
            Map<Index, IndexProperties> indices = new HashMap<>();
            String[] backing = stream.getIndices().stream().map(Index::getName).toArray(String[]::new);
            for (Index index : stream.getIndices()) {
                indices.put(index, new IndexProperties(true, null, by, null));
            }
            return new DataStreamInfo(stream, false, new ClusterStateHealth(state, backing).getStatus(),
                MetadataIndexTemplateService.findV2Template(metadata, name, false), null, null, indices, true, null,
                null);
        }
    }

    /** Needs a template with "data_stream": the server's service insists. */
    public static final class Create extends TransportAction<CreateDataStreamAction.Request, AcknowledgedResponse> {
        private final MetadataCreateDataStreamService service;

        @Inject
        public Create(ActionFilters filters, TransportService transport, MetadataCreateDataStreamService service) {
            super(CreateDataStreamAction.NAME, filters, transport.getTaskManager(), DIRECT_EXECUTOR_SERVICE);
            this.service = service;
        }

        @Override
        protected void doExecute(Task task, CreateDataStreamAction.Request request,
                                 ActionListener<AcknowledgedResponse> listener) {
            service.createDataStream(new CreateDataStreamClusterStateUpdateRequest(
                request.getName(), null, request.masterNodeTimeout(), request.ackTimeout(), true), listener);
        }
    }

    /** The streams with all their backing indices. */
    public static final class Delete extends TransportAction<DeleteDataStreamAction.Request, AcknowledgedResponse> {
        private final ClusterService cluster;
        private final IndexNameExpressionResolver resolver;

        @Inject
        public Delete(ActionFilters filters, TransportService transport, ClusterService cluster,
                      IndexNameExpressionResolver resolver) {
            super(DeleteDataStreamAction.NAME, filters, transport.getTaskManager(), DIRECT_EXECUTOR_SERVICE);
            this.cluster = cluster;
            this.resolver = resolver;
        }

        @Override
        @SuppressWarnings("removal")
        protected void doExecute(Task task, DeleteDataStreamAction.Request request,
                                 ActionListener<AcknowledgedResponse> listener) {
            cluster.submitUnbatchedStateUpdateTask("delete data streams", new ClusterStateUpdateTask() {
                @Override
                public ClusterState execute(ClusterState state) {
                    Set<DataStream> streams = new HashSet<>();
                    for (String name : resolver.dataStreamNames(state, request.indicesOptions(), request.getNames())) {
                        streams.add(state.metadata().dataStreams().get(name));
                    }
                    return MetadataDataStreamsService.deleteDataStreams(state, streams, Settings.EMPTY);
                }

                @Override
                public void onFailure(Exception error) {
                    listener.onFailure(error);
                }

                @Override
                public void clusterStateProcessed(ClusterState before, ClusterState after) {
                    listener.onResponse(AcknowledgedResponse.TRUE);
                }
            });
        }
    }
}
