package org.elasticsearch.plugins;

import java.lang.reflect.Constructor;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;

import org.elasticsearch.env.Environment;

/** Plugins from the class path, not from folders. In this package because LoadedPlugin is visible only here. */
public final class ClassPathPlugins extends PluginsService {
    private final List<LoadedPlugin> loaded = new ArrayList<>();

    public ClassPathPlugins(Environment environment, PluginsLoader loader, List<Plugin> plugins) {
        super(environment.settings(), environment.configDir(), loader);
        for (Plugin plugin : plugins) {
            String name = plugin.getClass().getName();
            PluginDescriptor described = new PluginDescriptor(
                name, name, "-", "-", "17", name, null, List.of(), false, false, false, false);
            loaded.add(new LoadedPlugin(described, plugin, plugin.getClass().getClassLoader()));
        }
        loadExtensions(loaded);
    }

    @Override
    protected List<LoadedPlugin> plugins() {
        return loaded;
    }

    /** One class loader for all, so each service once: asked for each plugin, it would find all of them again. */
    @Override
    public <T> List<? extends T> loadServiceProviders(Class<T> service) {
        return ServiceLoader.load(service, getClass().getClassLoader()).stream()
            .map(found -> make(service, found))
            .toList();
    }

    /** A provider may want the plugin that it belongs to. */
    private <T> T make(Class<T> service, ServiceLoader.Provider<T> found) {
        for (Constructor<?> constructor : found.type().getConstructors()) {
            for (LoadedPlugin plugin : loaded) {
                if (constructor.getParameterCount() == 1
                    && constructor.getParameterTypes()[0].isInstance(plugin.instance())) {
                    try {
                        return service.cast(constructor.newInstance(plugin.instance()));
                    } catch (ReflectiveOperationException error) {
                        throw new IllegalStateException(found.type().getName(), error);
                    }
                }
            }
        }
        return found.get();
    }
}
