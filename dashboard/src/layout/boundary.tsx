import { Button, Group } from '@mantine/core'
import { Component, type ReactNode } from 'react'
import { ApiError } from '~/api/error'
import { ErrorBox } from '~/parts/ErrorBox'

/** Shows what broke in place of what broke; the navigation around it lives on. */
export class Boundary extends Component<{ children: ReactNode }, { broken: unknown }> {
  override state = { broken: undefined }

  static getDerivedStateFromError(broken: unknown) {
    return { broken: broken ?? 'unknown' }
  }

  override render() {
    const broken: unknown = this.state.broken
    if (broken === undefined) return this.props.children
    const message = broken instanceof Error ? broken.message : String(broken)
    // After an update of the server the pages of the former version are gone.
    const outdated = /dynamically imported module|module script failed|preload CSS/i.test(message)
    const error = outdated
      ? new ApiError({ message: 'this page belongs to another version of the server', hint: 'load the dashboard anew' }, 0)
      : new ApiError({ message: `this page broke: ${message}`, hint: 'load it anew; if it breaks again, please report it' }, 0)
    return (
      <div style={{ maxWidth: '44rem', margin: '2rem auto', padding: '0 1rem' }}>
        <ErrorBox error={error} />
        <Group mt="md" gap="xs">
          <Button onClick={() => location.reload()}>Load it anew</Button>
          <Button variant="default" component="a" href="/">
            Home
          </Button>
        </Group>
      </div>
    )
  }
}
