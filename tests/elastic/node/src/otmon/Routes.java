package otmon;

import java.util.Collection;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.Supplier;

import org.elasticsearch.action.datastreams.CreateDataStreamAction;
import org.elasticsearch.action.datastreams.DeleteDataStreamAction;
import org.elasticsearch.action.datastreams.GetDataStreamAction;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.action.RestToXContentListener;

/**
 * The routes / and _data_stream, whose modules (rest-root, data-streams) are not published. They go through actions of
 * the same names as Elastic's, because security decides by these names who may do what: rights are judged as elsewhere.
 */
public final class Routes extends Plugin implements ActionPlugin {
    private static final TimeValue TIMEOUT = TimeValue.timeValueSeconds(30);

    @Override
    public Collection<ActionHandler<?, ?>> getActions() {
        return List.of(
            new ActionHandler<>(Main.TYPE, Main.Action.class),
            new ActionHandler<>(GetDataStreamAction.INSTANCE, DataStreams.Get.class),
            new ActionHandler<>(CreateDataStreamAction.INSTANCE, DataStreams.Create.class),
            new ActionHandler<>(DeleteDataStreamAction.INSTANCE, DataStreams.Delete.class));
    }

    @Override
    public Collection<RestHandler> getRestHandlers(
        Settings settings, NamedWriteableRegistry writeables, RestController controller,
        ClusterSettings clusterSettings, IndexScopedSettings indexSettings, SettingsFilter filter,
        IndexNameExpressionResolver names, Supplier<DiscoveryNodes> nodes, Predicate<NodeFeature> features
    ) {
        return List.of(new Root(), new Streams());
    }

    private static final class Root extends BaseRestHandler {
        @Override
        public String getName() {
            return "otmon_main";
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(Method.GET, "/"), new Route(Method.HEAD, "/"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            return channel -> client.execute(Main.TYPE, new Main.Request(), new RestToXContentListener<>(channel));
        }
    }

    private static final class Streams extends BaseRestHandler {
        @Override
        public String getName() {
            return "otmon_data_streams";
        }

        @Override
        public List<Route> routes() {
            return List.of(
                new Route(Method.GET, "/_data_stream"),
                new Route(Method.GET, "/_data_stream/{name}"),
                new Route(Method.PUT, "/_data_stream/{name}"),
                new Route(Method.DELETE, "/_data_stream/{name}"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            String name = request.param("name");
            String[] names = Strings.splitStringByCommaToArray(name);
            return switch (request.method()) {
                case PUT -> channel -> client.execute(CreateDataStreamAction.INSTANCE,
                    new CreateDataStreamAction.Request(TIMEOUT, TIMEOUT, name), new RestToXContentListener<>(channel));
                case DELETE -> channel -> client.execute(DeleteDataStreamAction.INSTANCE,
                    new DeleteDataStreamAction.Request(TIMEOUT, names), new RestToXContentListener<>(channel));
                default -> channel -> client.execute(GetDataStreamAction.INSTANCE,
                    new GetDataStreamAction.Request(TIMEOUT, names), new RestToXContentListener<>(channel));
            };
        }
    }
}
