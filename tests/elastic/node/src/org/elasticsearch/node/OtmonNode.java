package org.elasticsearch.node;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.SecureString;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.plugins.ClassPathPlugins;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.plugins.PluginsService;
import org.elasticsearch.transport.netty4.Netty4Plugin;
import org.elasticsearch.xpack.core.XPackPlugin;
import org.elasticsearch.xpack.core.security.authc.support.Hasher;
import org.elasticsearch.xpack.esql.plugin.EsqlPlugin;
import org.elasticsearch.xpack.security.Security;

import otmon.Analysis;
import otmon.Routes;

/**
 * One Elasticsearch node on 127.0.0.1. Arguments: HOME [setting=value | user=NAME:PASSWORD ...]; a user is a superuser,
 * and the first one turns security on. Says "READY port" when HTTP answers. Lives as long as its standard input is
 * open: so it cannot outlive the tests that started it. In this package because what a Node is built of is visible
 * only here.
 */
public final class OtmonNode extends Node {
    private OtmonNode(Environment environment, List<Plugin> plugins) {
        super(NodeConstruction.prepareConstruction(
            environment,
            PluginsLoader.createPluginsLoader(Set.of(), Set.of(), Map.of(), false),
            new NodeServiceProvider() {
                @Override
                PluginsService newPluginService(Environment same, PluginsLoader loader) {
                    return new ClassPathPlugins(same, loader, plugins);
                }
            },
            true));
    }

    public static void main(String[] arguments) throws Exception {
        LogConfigurator.configureESLogging();
        Path home = Path.of(arguments[0]).toAbsolutePath();
        Path config = Files.createDirectories(home.resolve("config"));
        Settings settings = settings(home, config, List.of(arguments).subList(1, arguments.length));
        OtmonNode node = new OtmonNode(new Environment(settings, config), List.of(
            new Netty4Plugin(), new Routes(), new Analysis(), new XPackPlugin(settings), new EsqlPlugin(),
            new Security(settings)));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        node.start();
        HttpServerTransport http = node.injector().getInstance(HttpServerTransport.class);
        System.out.println("READY " + http.boundAddress().publishAddress().getPort());
        System.out.flush();
        while (System.in.read() >= 0) {} // nothing is ever said; the end is what is waited for
        System.exit(0);
    }

    private static Settings settings(Path home, Path config, List<String> given) throws Exception {
        Settings.Builder settings = Settings.builder()
            .put("path.home", home.toString())
            .put("cluster.name", "otmon-test")
            .put("node.name", "otmon-test")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("transport.port", "0")
            .put("cluster.routing.allocation.disk.threshold_enabled", false) // a full disk here is not what is tested
            .put("xpack.security.enabled", false);
        StringBuilder users = new StringBuilder();
        StringBuilder superusers = new StringBuilder();
        for (String argument : given) {
            String[] pair = argument.split("=", 2);
            if (pair[0].equals("user")) {
                String[] user = pair[1].split(":", 2);
                char[] hash = Hasher.resolve("bcrypt4").hash(new SecureString(user[1].toCharArray()));
                users.append(user[0]).append(':').append(hash).append('\n');
                superusers.append(superusers.isEmpty() ? "superuser:" : ",").append(user[0]);
                settings.put("xpack.security.enabled", true)
                    .put("xpack.security.authc.api_key.enabled", true) // else it asks for TLS, which is another test
                    .put("xpack.security.transport.ssl.enabled", false);
            } else {
                settings.put(pair[0], pair[1]);
            }
        }
        if (users.isEmpty() == false) {
            Files.writeString(config.resolve("users"), users);
            Files.writeString(config.resolve("users_roles"), superusers.append('\n'));
        }
        return settings.build();
    }
}
